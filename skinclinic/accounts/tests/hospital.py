"""A hospital's identity provider, as real as a test can have one: an OpenID provider on a port of its own."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
import requests
from allauth.socialaccount.models import SocialAccount
from cryptography.hazmat.primitives.asymmetric import rsa
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from conftest import Person
from skinclinic.accounts.models import Clinic, IdentityProvider
from skinclinic.accounts.oidc.provider import PURPOSE
from skinclinic.accounts.oidc.tokens import LOGOUT
from skinclinic.audit.acting import acting, system
from skinclinic.ciphers import seal

CLIENT, SECRET = "skinclinic", "a secret that the hospital gave"


@lru_cache
def key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Hospital:
    """Lets in `user` at once; what it says can be bent by `bend`, and how it signs by `signs`."""

    issuer: str = ""
    user: dict[str, Any] = field(default_factory=dict)
    auth_time: Callable[[], float | None] = time.time
    bend: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
    signs: Callable[[dict[str, Any]], str] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    refresh: str = "given"
    down: bool = False
    asked: list[str] = field(default_factory=list)
    authorized: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/end",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "email", "profile", "offline_access"],
            "backchannel_logout_supported": True,
        } | self.extra

    def is_me(self, person: Person, **claims: Any) -> None:
        self.user = {
            "sub": f"hospital-{person.user.full_name[:3]}",
            "sid": f"sid-{person.user.full_name[:3]}",
            "email": person.user.email,
            "email_verified": True,
            "name": person.user.full_name,
        } | claims

    def sign(self, claims: dict[str, Any], *, by: str = "own", **header: Any) -> str:
        return jwt.encode(claims, key(by), algorithm="RS256", headers={"kid": "first"} | header)

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        at = self.auth_time()
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce} | self.user
        claims = self.bend(claims | ({"auth_time": int(at)} if at else {}))
        return self.signs(claims) if self.signs else self.sign(claims)

    def logout_token(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        whose = {name: self.user[name] for name in ("sub", "sid")}
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": secrets.token_hex(8)}
        claims |= whose | {"events": {LOGOUT: {}}} | changed
        return {name: value for name, value in claims.items() if value is not None}

    def authorize(self, asked: dict[str, str]) -> str:
        self.authorized.append(asked)
        code = secrets.token_hex(8)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        if form["grant_type"] == "refresh_token":
            good = form["refresh_token"] == self.refresh
            return (200, {"access_token": "x", "token_type": "Bearer"}) if good else (400, {"error": "invalid_grant"})
        asked = self.codes.pop(form["code"], None)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if asked is None or base64.urlsafe_b64encode(challenge).rstrip(b"=").decode() != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        told = {"access_token": "x", "token_type": "Bearer", "id_token": self.id_token(asked["nonce"])}
        return 200, told | ({"refresh_token": self.refresh} if self.refresh else {})

    def keys(self) -> dict[str, Any]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key("own").public_key()))
        return {"keys": [public | {"kid": "first", "use": "sig", "alg": "RS256"}]}


@contextmanager
def open_hospital() -> Iterator[Hospital]:
    hospital = Hospital()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = urlsplit(self.path)
            hospital.asked.append(place.path)
            if hospital.down:
                return self.say(503, {})
            match place.path:
                case "/.well-known/openid-configuration":
                    return self.say(200, hospital.discovery())
                case "/keys":
                    return self.say(200, hospital.keys())
                case "/authorize":
                    return self.say(302, {}, Location=hospital.authorize(dict(parse_qsl(place.query))))
            return self.say(404, {})

        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            hospital.asked.append(self.path)
            self.say(*((503, {}) if hospital.down else hospital.token(form)))

        def say(self, status: int, told: dict[str, Any], **headers: str) -> None:
            body = json.dumps(told).encode()
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json", "Content-Length": len(body)} | headers).items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hospital.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hospital
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def set_up(hospital: Hospital, clinic: Clinic, **changed: Any) -> IdentityProvider:
    """The clinic's row, as its manager's page would have made it."""
    with acting(system(clinic_id=clinic.pk)):
        return IdentityProvider.objects.create(
            clinic=clinic,
            name="Hospital North",
            issuer=hospital.issuer,
            client_id=CLIENT,
            client_secret=seal(PURPOSE, SECRET),
            **{"is_enabled": True, "offers_logout": True, "end_session_endpoint": f"{hospital.issuer}/end"} | changed,
        )


def has_joined(hospital: Hospital, person: Person, clinic: Clinic) -> None:
    """The hospital means this person, who has said before that it is her."""
    hospital.is_me(person)
    with acting(system(clinic_id=clinic.pk)):
        uid = hospital.user["sub"]
        SocialAccount.objects.get_or_create(provider=str(clinic.pk), uid=uid, defaults={"user": person.user})


def led_to(answer: HttpResponse) -> str:
    """By the page between a form of ours and another site."""
    assert answer.status_code == 200, answer
    return str(answer["Refresh"]).removeprefix("0; url=")


def there(answer: HttpResponse) -> str:
    """The browser at the hospital, from where it is sent back: the path of that at the clinic."""
    sent_back = requests.get(led_to(answer), allow_redirects=False, timeout=5)
    back = urlsplit(sent_back.headers["Location"])
    return f"{back.path}?{back.query}"


def come_in(clinic: Clinic, client: Client | None = None, **form: str) -> tuple[Client, HttpResponse]:
    """Through the clinic's door, to the hospital and back; what the clinic answers then."""
    browser = client or Client()
    answer = browser.post(reverse("oidc_begin", args=[clinic.pk]), form)
    return browser, browser.get(there(answer))


def said(browser: Client, answer: HttpResponse) -> str:
    """What she reads on the page that she is led to."""
    return browser.get(answer["Location"]).content.decode()


def query(address: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(address).query)
