"""The addresses of the FHIR side; none ends in a slash, as FHIR has it."""

from django.urls import path

from skinclinic.api.fhir import capability, create_views, views

urlpatterns = [
    path("metadata", capability.metadata, name="fhir_metadata"),
    path(".well-known/smart-configuration", capability.smart_configuration, name="fhir_smart"),
    path("CodeSystem", views.CodeSystemView.as_view(), name="fhir_code_systems"),
    path("CodeSystem/<str:key>", views.CodeSystemView.as_view(), name="fhir_code_system"),
    path("Binary/<str:key>", views.BinaryView.as_view(), name="fhir_binary"),
    path("Patient", create_views.patient, name="fhir_patients"),
    path("Media", create_views.media, name="fhir_media"),
    path("Patient/<uuid:key>/$everything", views.EverythingView.as_view(), name="fhir_everything"),
    path("<str:kind>/_search", views.PostedSearchView.as_view(), name="fhir_posted_search"),
    path("<str:kind>", views.SearchView.as_view(), name="fhir_search"),
    path("<str:kind>/<str:key>", views.ReadView.as_view(), name="fhir_read"),
]
