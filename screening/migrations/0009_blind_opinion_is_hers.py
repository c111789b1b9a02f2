"""The blind opinion that a review names is the same reviewer's, of the same screening."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("screening", "0008_adjudication")]

    operations = [
        migrations.RunSQL(
            [
                "ALTER TABLE screening_review ADD CONSTRAINT review_by_reviewer UNIQUE (id, screening_id, reviewer_id)",
                """
                ALTER TABLE screening_review ADD CONSTRAINT review_blind_opinion_is_hers
                FOREIGN KEY (blind_opinion_id, screening_id, reviewer_id)
                REFERENCES screening_review (id, screening_id, reviewer_id)
                """,
            ],
            [
                "ALTER TABLE screening_review DROP CONSTRAINT review_blind_opinion_is_hers",
                "ALTER TABLE screening_review DROP CONSTRAINT review_by_reviewer",
            ],
        ),
    ]
