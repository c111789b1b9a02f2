"""The integrators' side: tokens, the schema, and version 1."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from oauth2_provider.views import TokenView

urlpatterns = [
    path("v1/", include("skinclinic.api.v1.urls")),
    path("oauth2/token/", TokenView.as_view(), name="oauth2_token"),
    path("schema/", SpectacularAPIView.as_view(), name="api_schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api_schema"), name="api_docs"),
]
