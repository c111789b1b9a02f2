"""The ledger's head, told once a day where nobody of this machine can write."""

import smtplib
from datetime import date, timedelta

import pytest
from django.core import mail

from screening.services import ledger
from screening.services.ledger import tell_head
from skinclinic.accounts.models import User
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import ToldHead
from skinclinic.audit.sealing import seal_ledger, seal_state
from skinclinic.events.models import Event

TO = "auditor@elsewhere.example"


@pytest.fixture(autouse=True)
def sealed(real_cast, settings):
    settings.LEDGER_HEAD_TO = [TO]
    seal_ledger()


def heads_in(clinic) -> list[str]:
    with acting(system(clinic_id=clinic.pk)):
        return [event.ids["head"] for event in Event.objects.filter(type="ledger.head").order_by("id")]


def test_it_works(real_cast):
    User.objects.create_superuser("olga@example.org", full_name="Olga Operator")
    head = seal_state().head
    tell_head()
    assert [(sent.to, head in sent.body) for sent in mail.outbox] == [([TO, "olga@example.org"], True)]
    assert heads_in(real_cast.north) == heads_in(real_cast.south) == [head]
    assert "manage.py audit verify --head" in mail.outbox[0].body


def test_it_is_told_once_a_day(real_cast):
    tell_head()
    tell_head()
    assert (len(mail.outbox), len(heads_in(real_cast.north))) == (1, 1)
    ToldHead.objects.update(day=date.today() - timedelta(days=1))  # noqa: DTZ011 (any other day)
    tell_head()
    assert (len(mail.outbox), len(heads_in(real_cast.north))) == (2, 2)


def test_a_mail_server_that_is_away_is_asked_again(real_cast, monkeypatch):
    def away(*_args: object) -> None:
        raise smtplib.SMTPServerDisconnected

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "send_mail", away)
        tell_head()
    assert not mail.outbox
    tell_head()
    assert (len(mail.outbox), len(heads_in(real_cast.north))) == (1, 1)


def test_a_mail_server_that_goes_away_between_two_addresses_brings_nobody_a_second_mail(real_cast, monkeypatch):
    User.objects.create_superuser("olga@example.org", full_name="Olga Operator")
    tries = []

    def takes_one_mail_at_a_time(*mail: object) -> None:
        tries.append(mail[-1])
        if len(tries) % 2 == 0:
            raise smtplib.SMTPServerDisconnected

    monkeypatch.setattr(ledger, "send_mail", takes_one_mail_at_a_time)
    for _ in range(3):
        tell_head()
    assert tries == [[TO, "olga@example.org"]]


def test_an_empty_ledger_has_none_to_tell(real_cast, monkeypatch):
    monkeypatch.setattr(ledger.Seal.objects, "order_by", lambda *_: ledger.Seal.objects.none())
    tell_head()
    assert not mail.outbox
    assert not ToldHead.objects.exists()
