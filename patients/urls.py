from django.urls import path

from patients import views

urlpatterns = [
    path("patients/", views.patient_list, name="patients"),
    path("patients/new/", views.patient_new, name="patient_new"),
    path("patients/<uuid:patient_id>/correct/", views.patient_correct, name="patient_correct"),
    path("patients/<uuid:patient_id>/consents/", views.consent_note, name="consent_note"),
    path("patients/<uuid:patient_id>/consents/<slug:kind>/withdraw/", views.consent_withdraw, name="consent_withdraw"),
    path("patients/<uuid:patient_id>/lesions/new/", views.lesion_new, name="lesion_new"),
    path("patients/<uuid:patient_id>/merge/", views.patient_merge, name="patient_merge"),
    path("patients/<uuid:patient_id>/unmerge/", views.patient_unmerge, name="patient_unmerge"),
]
