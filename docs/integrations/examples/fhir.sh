#!/bin/sh
# A patient and a photograph into the clinic as FHIR, and what the clinic says of them out of it.
#
#   CLINIC=http://localhost:8000 ID=… SECRET=… sh fhir.sh lesion.jpg
#
# ID and SECRET: of a system with the scopes fhir:read and fhir:write (*Clinic*, *Systems*). The photograph goes
# to the first lesion that there is: lesions are marked on the body map, or made at /api/v1/lesions/.
set -eu

FHIR=$CLINIC/fhir
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

# 1. Where a token is fetched, and the token.
PLACE=$(curl -sS --fail-with-body "$FHIR/.well-known/smart-configuration" | json 'told["token_endpoint"]')
TOKEN=$(curl -sS --fail-with-body -u "$ID:$SECRET" -d grant_type=client_credentials "$PLACE" | json 'told["access_token"]')
fhir() { curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/fhir+json" "$@"; }

# 2. What can be asked for.
curl -sS --fail-with-body "$FHIR/metadata" | json '"FHIR", told["fhirVersion"], len(told["rest"][0]["resource"]), "resources"'

# 3. A patient, made only where nobody has her number. Sent again, it finds her.
PATIENT=$(fhir -H "If-None-Exist: identifier=urn:example:his|4711" -d '{
  "resourceType": "Patient",
  "identifier": [{"system": "urn:example:his", "value": "4711"}],
  "name": [{"family": "Example", "given": ["Ada"]}],
  "gender": "female",
  "birthDate": "1961-04-30"
}' "$FHIR/Patient" | json 'told["id"]')
echo "Patient $PATIENT"

# 4. Looked for by name: by POST, so that the name stands in no address.
curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" -d name=Example "$FHIR/Patient/_search" \
    | json '"found", [entry["resource"]["id"] for entry in told["entry"]]'

# 5. A photograph of a lesion. It waits to be read as soon as it is stored.
LESION=$(fhir "$FHIR/BodyStructure?_count=1" | json 'told["entry"][0]["resource"]["id"]')
MEDIA=$(python3 - "$LESION" "$1" <<'END' | fhir -d @- "$FHIR/Media" | json 'told["id"]'
import base64, json, pathlib, sys

lesion, path = sys.argv[1:]
of_lesion = {
    "url": "http://hl7.org/fhir/StructureDefinition/bodySite",
    "valueReference": {"reference": f"BodyStructure/{lesion}"},
}
photograph = base64.b64encode(pathlib.Path(path).read_bytes()).decode()
json.dump({"resourceType": "Media", "status": "completed", "bodySite": {"extension": [of_lesion]},
           "content": {"contentType": "image/jpeg", "data": photograph}}, sys.stdout)
END
)
echo "Media $MEDIA"
OF_LESION=$(fhir "$FHIR/Media/$MEDIA" | json 'told["subject"]["reference"]')

# 6. What the model and the doctors say of her photographs, with who said it. Read `status` before you use a value.
fhir "$FHIR/Observation?patient=$OF_LESION&_revinclude=Provenance:target" \
    | json '"\n".join(" ".join([each["resource"]["resourceType"], each["resource"].get("status", "")]) for each in told.get("entry", []))'

# 7. Signed reports, and the PDF of the first with what its bytes must hash to.
fhir "$FHIR/DiagnosticReport?patient=$OF_LESION" > report.json
json '"reports", len(told.get("entry", []))' < report.json
PDF=$(json '([each["resource"]["presentedForm"][0]["url"] for each in told.get("entry", []) if "presentedForm" in each["resource"]] + [""])[0]' < report.json)
[ -z "$PDF" ] || curl -sS --fail-with-body -H "Authorization: Bearer $TOKEN" "$PDF" -o report.pdf

# 8. All of it, page after page.
NEXT="$FHIR/$OF_LESION/\$everything"
while [ -n "$NEXT" ]; do
    fhir "$NEXT" > page.json
    json '"page of", len(told.get("entry", []))' < page.json
    NEXT=$(json '"".join(link["url"] for link in told["link"] if link["relation"] == "next")' < page.json)
done
