#!/bin/sh
# From a new patient to the signed report, by the REST API.
#
#   CLINIC=http://localhost:8000 ID=… SECRET=… sh rest.sh lesion.jpg
#   CLINIC=http://localhost:8000 ID=… SECRET=… sh rest.sh --signed SCREENING
#
# ID and SECRET: of a system that may read and write patients and screenings, and read reviews (*Clinic*,
# *Systems*).
set -eu

API=$CLINIC/api
# What is wanted of an answer; where that is not in it, as in a refusal, the answer ends the walk.
json() {
    python3 -c "
import json, sys
text = sys.stdin.read()
try:
    told = json.loads(text)
    print($1)
except (ValueError, LookupError, TypeError):
    sys.exit(text or 'There was no answer.')
"
}
key() { python3 -c 'import uuid; print("Idempotency-Key:", uuid.uuid4())'; }
TOKEN=$(curl -sS --fail-with-body -u "$ID:$SECRET" -d grant_type=client_credentials "$API/oauth2/token/" | json 'told["access_token"]')
rest() { curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" "$@"; }
create() { rest -H "$(key)" -H "Content-Type: application/json" -d "$2" "$API/v1/$1/"; }

if [ "$1" = --signed ]; then
    # What a doctor signed, newest first, and the report of the visit.
    rest "$API/v1/screenings/$2/reviews/" \
        | json '"\n".join(" ".join([each["diagnosis"], each["recommendation"], "by", each["reviewer"]]) for each in told)
            or sys.exit("It is not signed yet.")'
    VISIT=$(rest "$API/v1/screenings/$2/" | json 'told["visit"]')
    PDF=$(rest "$API/v1/reports/?visit=$VISIT" | json 'told["results"][0]["pdf"]')
    rest "$PDF" -o report.pdf
    echo "report.pdf"
    exit
fi

# 1. The patient whom your system knows as 4711: found, or registered.
PATIENT=$(rest -H "Content-Type: application/json" -d '{"identifier": {"system": "urn:example:his", "value": "4711"}}' \
    "$API/v1/patients/search/" | json '(told or [{"id": ""}])[0]["id"]')
[ -n "$PATIENT" ] || PATIENT=$(create patients '{
  "identity": {"family_name": "Example", "given_name": "Ada", "birth_date": "1961-04-30"},
  "sex": "female",
  "identifiers": [{"system": "urn:example:his", "value": "4711"}]
}' | json 'told["id"]')
echo "patient $PATIENT"

# 2. What she decided: without her consent, no photograph is read.
create "patients/$PATIENT/consents" \
    "{\"kind\": \"ai_reading\", \"decision\": \"given\", \"decided_on\": \"$(date +%Y-%m-%d)\"}" > /dev/null

# 3. A lesion on the body map, and a visit with its question.
LESION=$(create lesions "{\"patient\": \"$PATIENT\", \"site\": \"back\", \"laterality\": \"left\",
  \"view\": \"back\", \"x\": 0.42, \"y\": 0.3}" | json 'told["id"]')
VISIT=$(create visits "{\"patient\": \"$PATIENT\", \"question\": \"Changed since spring?\", \"urgency\": \"soon\"}" \
    | json 'told["id"]')

# 4. The photograph. It is stored when this is answered; sent again with the same key it is stored once.
SCREENING=$(rest -H "$(key)" -F "visit=$VISIT" -F "lesion=$LESION" -F "photograph=@$1" "$API/v1/screenings/" \
    | json 'told["id"]')
echo "screening $SCREENING"

# 5. The reading, a moment later. Show its cautions with it, and never as a diagnosis.
for _ in $(seq 60); do
    rest "$API/v1/screenings/$SCREENING/" > screening.json
    case $(json 'told["reading_status"]' < screening.json) in queued|running) sleep 1 ;; *) break ;; esac
done
json '"\n! ".join([" ".join(["reading", told["reading_status"], (told["reading"] or {}).get("band") or "without a band",
    "·", told["review_status"]]), *(told["reading"] or {}).get("cautions", [])])' < screening.json

# 6. A person of the clinic is led to the chart from your system's page, once.
rest -X POST "$API/v1/patients/$PATIENT/link/" | json '"link " + told["url"].partition("?")[0]'

# 7. What happened so far; keep `since`, and ask on from there.
rest "$API/v1/changes/" | json '" ".join(sorted({each["type"] for each in told["results"]}) + ["since", str(told["since"])])'
