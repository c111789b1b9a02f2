"""Every table, and what keeps a stranger from it."""

from django.db import connection

# Tables without row-level security, each with its reason. What is in them is of no patient.
OPEN = {
    "accounts_clinic": "a clinic's name and rules; pages show a person her own clinics only",
    "accounts_user": "the door looks people up before anybody is known; passwords are hashed",
    "accounts_tries": "counters of tries, under digests",
    "accounts_user_groups": "not used",
    "accounts_user_user_permissions": "not used",
    "account_emailaddress": "not used: the address is the user's",
    "account_emailconfirmation": "not used",
    "api_client": "a client signs in before any clinic is known; its secret is hashed",
    "audit_seal": "digests over the ledger; they say nothing of what stands on it",
    "audit_sealedevent": "likewise, with the numbers of lines",
    "audit_toldhead": "heads of the ledger that were told, a digest each",
    "audit_unsealedevent": "numbers of lines that wait for their seal",
    "auth_group": "not used",
    "auth_group_permissions": "not used",
    "auth_permission": "Django's own",
    "django_admin_log": "what operators did; the admin changes no record",
    "django_content_type": "Django's own",
    "django_migrations": "Django's own",
    "django_session": "found by a key that nobody can guess; signed with SECRET_KEY",
    "oauth2_provider_accesstoken": "a token's digest leads to its client",
    "oauth2_provider_grant": "not used: clients have no people",
    "oauth2_provider_idtoken": "not used",
    "oauth2_provider_refreshtoken": "not used",
    "oauth2_provider_devicegrant": "not used",
    "screening_modelversion": "which models are installed, the same for all",
}

OF_PROVIDERS = {"accounts_identityprovider", "accounts_providersession", "socialaccount_socialaccount"}


def tables(condition: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            f" AND {condition}"
        )
        return {name for (name,) in cursor.fetchall()}


def test_every_table_is_secured_or_says_why_not(db):
    assert tables("NOT relrowsecurity") == set(OPEN)


def test_what_lets_people_in_is_secured_and_recorded(db):
    assert {"mfa_authenticator", "usersessions_usersession", "accounts_invitation"} <= tables("relrowsecurity")
    recorded = "EXISTS (SELECT FROM pg_trigger WHERE tgrelid = pg_class.oid AND tgname = 'audit_row')"
    assert {"mfa_authenticator", "accounts_invitation"} | OF_PROVIDERS <= tables(recorded)
    assert {"socialaccount_socialapp", "socialaccount_socialtoken"} | OF_PROVIDERS <= tables("relrowsecurity")
