"""Every address of the clinic."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from skinclinic import health, metrics
from skinclinic.accounts import join
from skinclinic.accounts import session_views as sessions
from skinclinic.accounts import views as accounts
from skinclinic.accounts.oidc import ending, finding, joining
from skinclinic.accounts.oidc import pages as providers
from skinclinic.accounts.oidc import views as oidc
from skinclinic.api import links, whole
from skinclinic.api import pages as clients
from skinclinic.api.webhooks import pages as webhooks

urlpatterns = [
    path("healthz", health.alive, name="alive"),
    path("readyz", health.ready, name="ready"),
    path("readyz/reading", health.reading, name="ready_to_read"),
    path("metrics", metrics.metrics, name="metrics"),
    path("welcome/", accounts.first_run, name="first_run"),
    path("language/", accounts.choose_language, name="choose_language"),
    path("join/", join.join, name="join"),
    path("join/<uuid:clinic_id>/<str:token>/", join.invitation, name="invitation"),
    path("open", links.open_chart, name="open_chart"),
    path("patients/<uuid:patient_id>/export/", whole.patient_export, name="patient_export"),
    path("clinic/", accounts.choose_clinic, name="choose_clinic"),
    path("clinic/settings/", accounts.clinic_settings, name="clinic_settings"),
    path("clinic/sign-in/", providers.identity_provider, name="identity_provider"),
    path("clinic/sign-in/try/", providers.provider_try, name="provider_try"),
    path("clinic/sign-in/switch/", providers.provider_switch, name="provider_switch"),
    path("clinic/sign-in/require/", providers.provider_require, name="provider_require"),
    path("clinic/sign-in/links/<uuid:person>/undo/", providers.provider_unlink, name="provider_unlink"),
    path("clinic/systems/", clients.clients, name="clients"),
    path("clinic/systems/<str:client_id>/secret/", clients.client_rotate, name="client_rotate"),
    path("clinic/systems/<str:client_id>/disable/", clients.client_disable, name="client_disable"),
    path("clinic/webhooks/", webhooks.webhooks, name="webhooks"),
    path("clinic/webhooks/documents/", webhooks.webhooks_of_documents, name="webhooks_of_documents"),
    path("clinic/webhooks/<uuid:endpoint_id>/", webhooks.webhook, name="webhook"),
    path("clinic/webhooks/<uuid:endpoint_id>/log/", webhooks.webhook_log, name="webhook_log"),
    path("clinic/webhooks/<uuid:endpoint_id>/test/", webhooks.webhook_test, name="webhook_test"),
    path("clinic/webhooks/<uuid:endpoint_id>/secret/", webhooks.webhook_rotate, name="webhook_rotate"),
    path("clinic/webhooks/<uuid:endpoint_id>/disable/", webhooks.webhook_disable, name="webhook_disable"),
    path("clinic/webhooks/<uuid:endpoint_id>/enable/", webhooks.webhook_enable, name="webhook_enable"),
    path(
        "clinic/webhooks/<uuid:endpoint_id>/messages/<uuid:delivery_id>/again/",
        webhooks.webhook_again,
        name="webhook_again",
    ),
    path("clinic/settings/keeping/", accounts.clinic_keeping, name="clinic_keeping"),
    path("accounts/login/", accounts.sign_in),
    path("accounts/unlock/", accounts.unlock_session, name="unlock"),
    path("accounts/hospital/", finding.find_hospital, name="find_hospital"),
    path("accounts/hospital/join/", joining.join_hospital, name="join_hospital"),
    path("accounts/clinic/<uuid:clinic_id>/", oidc.door, name="clinic_door"),
    path("accounts/reauthenticate/", oidc.reauthenticate),
    path("accounts/oidc/confirm/", oidc.confirm_again, name="oidc_confirm"),
    path("accounts/oidc/<uuid:clinic_id>/login/", oidc.begin, name="oidc_begin"),
    path("accounts/oidc/<uuid:clinic_id>/callback/", oidc.callback, name="oidc_callback"),
    path("accounts/oidc/<uuid:clinic_id>/logout/", ending.logout, name="oidc_logout"),
    path("accounts/oidc/<uuid:clinic_id>/logout", ending.logout),
    path("accounts/session/", accounts.session_now, name="session"),
    path("accounts/2fa/authenticate/", sessions.second_factor),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/sessions/", sessions.sessions, name="usersessions_list"),
    path("session/", sessions.session_left, name="session_left"),
    path("session/stay/", sessions.session_stay, name="session_stay"),
    path("accounts/", include("allauth.account.urls")),
    path("admin/", admin.site.urls),
    path("api/", include("skinclinic.api.urls")),
    path("fhir/", include("skinclinic.api.fhir.urls")),
    path("dicomweb/", include("skinclinic.api.dicom.urls")),
    path("", include("patients.urls")),
    path("", include("screening.urls")),
    path("favicon.ico", RedirectView.as_view(url="/static/skinclinic/mark.svg")),
]

handler400 = "skinclinic.error_pages.bad_request"
handler403 = "skinclinic.error_pages.permission_denied"
handler404 = "skinclinic.error_pages.page_not_found"
handler500 = "skinclinic.error_pages.server_error"
