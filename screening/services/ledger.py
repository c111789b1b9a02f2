"""Verifying the ledger for those who asked on a page."""

from skinclinic.accounts.models import Clinic
from skinclinic.audit.acting import acting, system
from skinclinic.audit.models import Verification
from skinclinic.audit.sealing import verify_as_asked
from skinclinic.locks import next_in_spite_of_it


def sweep_verifications() -> None:
    """What is not finished, whether nobody began it or its worker was lost."""
    with acting(system()):
        clinics = list(Clinic.objects.all())
    for clinic in clinics:
        with next_in_spite_of_it("verification of the ledger", clinic):
            with acting(system(clinic_id=clinic.pk)):
                asked = list(Verification.objects.running().values_list("pk", flat=True))
            for verification_id in asked:
                verify_as_asked(verification_id=verification_id, clinic_id=clinic.pk)
