from django.db import migrations, models

import skinclinic.text

# What a clinic had written was printed in letters of every language; what it had not written was told in each.
NOBODY_WROTE = (
    "Look at your skin once a month. Come back earlier than agreed if a spot grows, changes its colour or its shape, "
    "itches, bleeds or does not heal within four weeks, or if a new one looks different from all the others.\n"
    "A photograph does not show everything. If something worries you, call us: you need no appointment to ask.\n"
    "Protect your skin from the sun, and never use a sunbed."
)
WRITTEN = f"""
ALTER TABLE accounts_clinic ALTER COLUMN letter_advice TYPE jsonb USING CASE
    WHEN letter_advice IN ('', '{NOBODY_WROTE}') THEN '{{}}'::jsonb
    ELSE jsonb_build_object('en', letter_advice, 'de', letter_advice) END
"""
UNWRITTEN = f"""
ALTER TABLE accounts_clinic ALTER COLUMN letter_advice TYPE text USING coalesce(letter_advice ->> 'en', '{NOBODY_WROTE}')
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_user_language"),
    ]

    operations = [
        migrations.AddField(
            model_name="clinic",
            name="address",
            field=models.TextField(blank=True, help_text="Printed on letters and reports.", max_length=300),
        ),
        migrations.AddField(
            model_name="clinic",
            name="phone",
            field=models.CharField(blank=True, max_length=40, validators=[skinclinic.text.validate_one_line]),
        ),
        # The column's type alone changes: no row does, so the ledger still tells how letters ended before.
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL(WRITTEN, UNWRITTEN)],
            [
                migrations.AlterField(
                    model_name="clinic",
                    name="letter_advice",
                    field=models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="What patients' letters end with, by language; else the portal's own words.",
                    ),
                ),
            ],
        ),
    ]
