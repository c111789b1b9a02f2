"""Settings, read from the environment (see `.env.example` and the table in the README)."""

import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from kombu import Exchange, Queue

from skinclinic import env
from skinclinic.logs import FORMS, logging_settings

BASE_DIR = Path(__file__).resolve().parent.parent

try:
    DEBUG = env.flag("DEBUG")
    DEMO = env.flag("DEMO")
    SECRET_KEY = env.secret("SECRET_KEY", at_least=32)
    ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ("localhost", "127.0.0.1", "[::1]"))
    SITE_URL = (env.url("SITE_URL", schemes=("http", "https")) or "http://localhost:8000").rstrip("/")
    DATABASE_URL = env.secret("DATABASE_URL")
    DATABASES = {"default": env.database(DATABASE_URL)}
    # Only `prepare_database`, `migrate`, back-up and restore act as the owner; the web and the workers get no such URL.
    if owner_url := env.text("DATABASE_OWNER_URL"):
        DATABASES["owner"] = env.database(owner_url, "DATABASE_OWNER_URL")
    REDIS_URL = env.url("REDIS_URL", schemes=env.REDIS_SCHEMES) or "redis://localhost:6379/0"
    MAIL_URL = env.url("EMAIL_URL", schemes=("smtp", "smtps"))
    MAIL_FOLDER = env.text("MAIL_FOLDER", str(BASE_DIR / ".local" / "mail"))
    STATIC_FOLDER = env.text("STATIC_FOLDER", str(BASE_DIR / "staticfiles"))
    PHOTOGRAPH_STORE = env.choice("PHOTOGRAPH_STORE", ("postgres", "s3"))
    PREDICTOR = env.text("PREDICTOR", "ml.predictor.load")
    MODELS_FOLDER = env.text("MODELS_FOLDER")
    PROXIED_HTTPS = env.flag("PROXIED_HTTPS")
    # How the reading queue keeps time, in seconds; the tests shorten these.
    READING_SOFT_LIMIT = env.integer("READING_SOFT_LIMIT", 10, minimum=1)
    READING_HARD_LIMIT = env.integer("READING_HARD_LIMIT", 20, minimum=2)
    READING_LEASE = env.integer("READING_LEASE", 30, minimum=1)
    READING_SWEEP_EVERY = env.integer("READING_SWEEP_EVERY", 10, minimum=1)
    READING_RESEND_AFTER = env.integer("READING_RESEND_AFTER", 60, minimum=1)
    READING_STUCK_AFTER = env.integer("READING_STUCK_AFTER", 300, minimum=1)
    FIGURES_SWEEP_EVERY = env.integer("FIGURES_SWEEP_EVERY", 60, minimum=1)
    ALARM_SWEEP_EVERY = env.integer("ALARM_SWEEP_EVERY", 20, minimum=1)
    ALARM_AFTER = env.integer("ALARM_AFTER", 60, minimum=0)
    IMPORT_MOST_MB = env.integer("IMPORT_MOST_MB", 10_240, minimum=1)
    API_REQUESTS_A_MINUTE = env.integer("API_REQUESTS_A_MINUTE", 1200, minimum=0)
    WEBHOOK_SWEEP_EVERY = env.integer("WEBHOOK_SWEEP_EVERY", 5, minimum=1)
    # Seconds until a message of whose outcome nobody told is sent again; longer than its task may live.
    WEBHOOK_LEASE = env.integer("WEBHOOK_LEASE", 90, minimum=1)
    # Beside the public internet. Whoever may name a webhook can ask what else answers in them.
    SEND_TO_NETWORKS = env.networks("SEND_TO_NETWORKS")
    SIGNATURE_HOLD = env.integer("SIGNATURE_HOLD", 10, minimum=0)
    NOTICE_MAIL_AFTER = env.integer("NOTICE_MAIL_AFTER", 60, minimum=0)
    CONNECTION_MAX_AGE = env.integer("CONNECTION_MAX_AGE", 60, minimum=0)
    SECOND_FACTOR_REQUIRED = env.flag("SECOND_FACTOR_REQUIRED", not DEBUG)
    # Seconds without an act of hers, and since she signed in, after which a person is signed out.
    SIGN_OUT_IDLE_AFTER = env.integer("SIGN_OUT_IDLE_AFTER", 15 * 60, minimum=5)
    SIGN_OUT_AFTER = env.integer("SIGN_OUT_AFTER", 12 * 60 * 60, minimum=60)
    # Seconds between two questions to a clinic's identity provider whether a session there goes on.
    PROVIDER_CHECK_EVERY = env.integer("PROVIDER_CHECK_EVERY", 180, minimum=1)
    LEDGER_HEAD_TO = env.words("LEDGER_HEAD_TO")
    METRICS_TOKEN = env.secret("METRICS_TOKEN", at_least=16) if env.text("METRICS_TOKEN") else ""
    LOG_FORMAT = env.choice("LOG_FORMAT", FORMS)
    WORKER_TASKS_PER_CHILD = env.integer("WORKER_TASKS_PER_CHILD", 1000, minimum=1)
except env.EnvironmentProblem as problem:
    raise ImproperlyConfigured(str(problem)) from problem

HTTPS = SITE_URL.startswith("https://")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "skinclinic.audit",
    "skinclinic.backup",
    "skinclinic.accounts",
    "skinclinic.events",
    "skinclinic.api",
    "skinclinic.api.fhir.apps.FhirConfig",
    "patients",
    "screening",
    "screening.dicom.apps.DicomConfig",
    "screening.apps.OperatorAdmin",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "oauth2_provider",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
]

MIDDLEWARE = [
    "skinclinic.middleware.RequestId",
    "skinclinic.metrics.CountedRequests",
    "skinclinic.middleware.SecurityHeaders",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "skinclinic.accounts.language.LanguageMiddleware",
    "skinclinic.middleware.LeadsAway",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "skinclinic.api.middleware.LengthRequired",
    "skinclinic.api.middleware.ClientTokenMiddleware",
    "skinclinic.accounts.sessions.SessionLimits",
    "skinclinic.accounts.middleware.ActingMiddleware",
    "skinclinic.accounts.oidc.binding.BoundSessions",
    "skinclinic.accounts.second_factor.SecondFactorGate",
    "skinclinic.error_pages.NoPageHere",
]

ROOT_URLCONF = "skinclinic.urls"
WSGI_APPLICATION = "skinclinic.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "skinclinic.accounts.context.clinic",
            ],
            "builtins": ["django.templatetags.i18n", "screening.templatetags.chips", "screening.templatetags.pages"],
        },
    },
]

# Which program this is, for the ledger's "system:<process>" and for the database's own lists.
PROCESS_NAME = env.text("PROCESS_NAME") or Path(sys.argv[0]).stem or "python"
for database in DATABASES.values():
    database["CONN_MAX_AGE"] = CONNECTION_MAX_AGE
    database["CONN_HEALTH_CHECKS"] = True
    database["OPTIONS"] = {"connect_timeout": 5, "application_name": PROCESS_NAME, **database["OPTIONS"]}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("full_name", "email"), "max_similarity": 0.6},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "skinclinic.accounts.passwords.BoundsValidator"},
    {"NAME": "skinclinic.accounts.passwords.GuessableValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "skinclinic.accounts.adapter.InvitedOnly"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
PASSWORD_RESET_TIMEOUT = 24 * 60 * 60
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # else this would write to any address that anybody enters
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_ON_GET = False
# After these many tries she waits: m and h are a minute and an hour; of one account, and of all from one address.
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,50/h/ip,5/5m/key,20/h/key",
    "reauthenticate": "10/m/user",
    "change_password": "5/m/user",
    "reset_password": "20/m/ip,5/m/key",
    "reset_password_from_key": "20/m/ip",
}
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60
SOCIALACCOUNT_ADAPTER = "skinclinic.accounts.oidc.adapter.ClinicProviders"
MFA_ADAPTER = "skinclinic.accounts.adapter.SecondFactor"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "skinclinic"
MFA_TOTP_TOLERANCE = 1
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS  # a browser gives a passkey on localhost, else on https alone
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if PROXIED_HTTPS else 0
# Counters of tries. In the database: they hold across processes, and outlive a broker that is emptied.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "accounts_tries",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

SESSION_COOKIE_AGE = SIGN_OUT_AFTER
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS = [SITE_URL]
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if PROXIED_HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# The keys of a clinic are chosen by the application, so that a row's id is known before it is written.
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The source of every catalogue, and what programs are answered in.
LANGUAGE_CODE = "en"
# Each in its own words; the catalogues of all but the first lie in `locale`, their dates in `skinclinic/formats`.
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "skinclinic.formats"
LANGUAGE_COOKIE_NAME = "language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 60 * 60
LANGUAGE_COOKIE_HTTPONLY = True
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# Photographs arrive through views of their own; every other body is small and read before its transaction opens.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
DATA_UPLOAD_MAX_NUMBER_FILES = 100
FILE_UPLOAD_HANDLERS = ["screening.upload_handlers.CappedUploadHandler"]

STATIC_URL = "static/"
STATIC_ROOT = Path(STATIC_FOLDER).expanduser().absolute()
NODE_MODULES = BASE_DIR / "node_modules"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    *(
        (prefix, folder)
        for prefix, folder in (
            ("bootstrap", NODE_MODULES / "bootstrap" / "dist"),
            ("htmx", NODE_MODULES / "htmx.org" / "dist"),
            ("openseadragon", NODE_MODULES / "openseadragon" / "build" / "openseadragon"),
            ("inter", NODE_MODULES / "@fontsource-variable" / "inter"),
            ("zip", NODE_MODULES / "@zip.js" / "zip.js" / "dist"),
        )
        if folder.is_dir()
    ),
]
PHOTOGRAPH_STORES = {
    "postgres": {"BACKEND": "screening.storage.DatabaseStorage"},
    "s3": {
        "BACKEND": "screening.storage.PrivateS3Storage",
        "OPTIONS": {
            "bucket_name": env.text("S3_BUCKET", ""),
            "endpoint_url": env.url("S3_ENDPOINT", schemes=("http", "https")),
            "access_key": env.text("S3_ACCESS_KEY"),
            "secret_key": env.text("S3_SECRET_KEY"),
            "default_acl": None,
            "querystring_auth": True,
            "file_overwrite": False,
        },
    },
}
STORAGES = {
    "default": PHOTOGRAPH_STORES[PHOTOGRAPH_STORE],
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_MAX_AGE = 3600

if MAIL_URL:
    mail = urlsplit(MAIL_URL)
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST, EMAIL_PORT = mail.hostname, mail.port or (465 if mail.scheme == "smtps" else 587)
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(mail.username or ""), unquote(mail.password or "")
    EMAIL_USE_SSL = mail.scheme == "smtps"
    EMAIL_USE_TLS = mail.scheme == "smtp"
else:
    EMAIL_BACKEND = "skinclinic.mail.PrivateFolder"
    EMAIL_FILE_PATH = MAIL_FOLDER
EMAIL_TIMEOUT = 5  # less than a task may take: a mail server that does not answer must not look like a fault of ours
DEFAULT_FROM_EMAIL = env.text("MAIL_FROM", "skinclinic@localhost")

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# Two queues, which every worker takes from in turns: what is done every few seconds does not wait behind photographs,
# and does not look like photographs that wait.
WORK, UPKEEP = "celery", "upkeep"
CELERY_TASK_DEFAULT_QUEUE = WORK
CELERY_TASK_QUEUES = [Queue(name, Exchange(name), routing_key=name) for name in (WORK, UPKEEP)]
CELERY_TASK_ROUTES = {"screening.tasks.sweep_*": {"queue": UPKEEP}, "skinclinic.*": {"queue": UPKEEP}}
CELERY_TASK_ACKS_LATE = True
# A photograph that kills its worker must not loop: the sweeper brings it back with a counted attempt instead.
CELERY_TASK_REJECT_ON_WORKER_LOST = False
CELERY_TASK_SOFT_TIME_LIMIT = READING_SOFT_LIMIT
CELERY_TASK_TIME_LIMIT = READING_HARD_LIMIT
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = WORKER_TASKS_PER_CHILD
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Celery would open a connection to the database for each task; `skinclinic.celery` closes them as requests do.
CELERY_DB_REUSE_MAX = sys.maxsize
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# For ever: a worker that gives up after a hundred tries is a clinic whose readings stop.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 120,
    "socket_connect_timeout": 1,
    "socket_timeout": 10,
    "socket_keepalive": True,
    "health_check_interval": 10,
    # Who tells the workers tries once: kombu would sleep for six seconds, and whoever uploads with it.
    "max_retries": 0,
}


def every(seconds: int, task: str) -> dict[str, Any]:
    """What waited while the broker was away is of no use any more."""
    return {"task": task, "schedule": seconds, "options": {"expires": seconds}}


CELERY_BEAT_SCHEDULE = {
    "sweep-readings": every(READING_SWEEP_EVERY, "screening.tasks.sweep_readings_task"),
    "sweep-signatures": every(READING_SWEEP_EVERY, "screening.tasks.sweep_signatures_task"),
    "sweep-notices": every(READING_SWEEP_EVERY, "screening.tasks.sweep_notices_task"),
    "sweep-imports": every(READING_SWEEP_EVERY, "screening.tasks.sweep_imports_task"),
    "sweep-erasures": every(READING_SWEEP_EVERY, "screening.tasks.sweep_erasures_task"),
    "sweep-ledger": every(READING_SWEEP_EVERY, "screening.tasks.sweep_ledger_task"),
    "sweep-answers": every(3600, "skinclinic.api.tasks.sweep_answers_task"),
    "check-providers": every(PROVIDER_CHECK_EVERY, "skinclinic.accounts.tasks.check_providers_task"),
    "send-webhooks": every(WEBHOOK_SWEEP_EVERY, "skinclinic.api.tasks.send_webhooks_task"),
    "sweep-figures": every(FIGURES_SWEEP_EVERY, "screening.tasks.sweep_figures_task"),
}

OAUTH2_PROVIDER_APPLICATION_MODEL = "api.Client"
OAUTH2_PROVIDER = {
    "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
    "SCOPES": {
        "patients:read": "Read patients, visits, lesions and consents",
        "patients:write": "Register patients, open visits, note consents",
        "screenings:read": "Read screenings, photographs and readings",
        "screenings:write": "Upload and withdraw photographs",
        "reviews:read": "Read signed reviews",
        "fhir:read": "Read the record as FHIR",
        "fhir:write": "Register patients and send photographs as FHIR",
        "dicom:write": "Send photographs as DICOM objects",
        "audit:read": "Read the ledger as FHIR AuditEvents",
        "webhooks:manage": "Say where webhooks go, and read what became of them",
    },
    "SCOPES_BACKEND_CLASS": "skinclinic.api.scopes.ClientScopes",
    "ALLOWED_GRANT_TYPES": ["client_credentials"],
    # The usual server tries a person's password before it looks at what the client may.
    "OAUTH2_SERVER_CLASS": "oauthlib.oauth2.BackendApplicationServer",
    "PKCE_REQUIRED": True,
    # RFC 9700, the best current practice: what a client of ours never needs is off.
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["skinclinic.api.authentication.ClientToken"],
    "DEFAULT_PERMISSION_CLASSES": ["skinclinic.api.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["skinclinic.api.parsers.BoundedJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "skinclinic.api.paging.NewestFirst",
    "DEFAULT_THROTTLE_CLASSES": ["skinclinic.api.limits.ClientLimit"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "skinclinic.api.problems.problem_response",
    "PAGE_SIZE": 50,
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "skinclinic",
    "DESCRIPTION": "Patients, photographs of skin lesions, their readings and their signed reviews. "
    "Decision support for research and education: not a medical device, never a diagnosis by itself.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "skinclinic.api.schema.describe_refusals",
        "skinclinic.api.v1.described.describe",
    ],
    "ENUM_NAME_OVERRIDES": {
        "RecommendationEnum": "screening.codes.Recommendation",
        "WithdrawalReasonEnum": "screening.codes.WithdrawalReason",
        "WebhookKindEnum": "skinclinic.api.webhooks.models.EndpointKind",
    },
}

LOGGING = logging_settings(form=LOG_FORMAT, process=PROCESS_NAME)
CSRF_FAILURE_VIEW = "skinclinic.error_pages.csrf_failure"
