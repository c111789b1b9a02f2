from rest_framework.routers import SimpleRouter

from skinclinic.api.v1.views import care, changes, patients, screenings, webhooks

router = SimpleRouter()
router.register("patients", patients.PatientViewSet, basename="api_patient")
router.register("visits", patients.VisitViewSet, basename="api_visit")
router.register("lesions", patients.LesionViewSet, basename="api_lesion")
router.register("screenings", screenings.ScreeningViewSet, basename="api_screening")

router.register("follow-ups", care.FollowUpViewSet, basename="api_follow_up")
router.register("outcomes", care.OutcomeViewSet, basename="api_outcome")
router.register("reports", care.ReportViewSet, basename="api_report")
router.register("model-versions", care.ModelVersionViewSet, basename="api_model_version")
router.register("changes", changes.ChangesViewSet, basename="api_changes")
router.register("webhooks", webhooks.WebhookViewSet, basename="api_webhook")

urlpatterns = router.urls
