from rest_framework.routers import SimpleRouter

from skinclinic.api.v1 import views

router = SimpleRouter()
router.register("patients", views.PatientViewSet, basename="api_patient")
router.register("visits", views.VisitViewSet, basename="api_visit")
router.register("lesions", views.LesionViewSet, basename="api_lesion")
router.register("screenings", views.ScreeningViewSet, basename="api_screening")

urlpatterns = router.urls
