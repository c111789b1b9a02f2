from django.urls import path

from screening import media
from screening.views import chart, history, home, result, upload, visit, worklist

urlpatterns = [
    path("", home.home, name="home"),
    path("today/", home.today, name="today"),
    path("worklist/", worklist.worklist, name="worklist"),
    path("patients/<uuid:patient_id>/", chart.patient_chart, name="patient_chart"),
    path("patients/<uuid:patient_id>/history/", chart.patient_history, name="patient_history"),
    path("patients/<uuid:patient_id>/visits/new/", chart.visit_new, name="visit_new"),
    path("visits/<uuid:visit_id>/", visit.visit, name="visit"),
    path("visits/<uuid:visit_id>/live/", visit.visit_live, name="visit_live"),
    path("visits/<uuid:visit_id>/take/", worklist.visit_take, name="visit_take"),
    path("visits/<uuid:visit_id>/release/", worklist.visit_release, name="visit_release"),
    path("visits/<uuid:visit_id>/sign/", visit.visit_sign, name="visit_sign"),
    path("visits/<uuid:visit_id>/photographs/", upload.photograph_upload, name="photograph_upload"),
    path("signatures/<uuid:signature_id>/acknowledge/", visit.signature_acknowledge, name="signature_acknowledge"),
    path("screenings/<uuid:screening_id>/", result.screening, name="screening"),
    path("screenings/<uuid:screening_id>/live/", result.screening_live, name="screening_live"),
    path("screenings/<uuid:screening_id>/opinion/", result.opinion_save, name="opinion_save"),
    path("screenings/<uuid:screening_id>/retry/", result.reading_retry, name="reading_retry"),
    path("screenings/<uuid:screening_id>/withdraw/", result.screening_withdraw, name="screening_withdraw"),
    path("screenings/<uuid:screening_id>/move/", result.move_search, name="move_search"),
    path("screenings/<uuid:screening_id>/move/<uuid:patient_id>/", result.screening_move, name="screening_move"),
    path("screenings/<uuid:screening_id>/history/", history.screening_history, name="screening_history"),
    path("screenings/<uuid:screening_id>/map.png", media.activation_map, name="activation_map"),
    path("photographs/<uuid:image_id>/photograph.jpg", media.photograph, name="photograph"),
    path("photographs/<uuid:image_id>/thumbnail.jpg", media.thumbnail, name="thumbnail"),
    path("follow-ups/<uuid:follow_up_id>/close/", result.follow_up_close, name="follow_up_close"),
]
