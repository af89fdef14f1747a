#!/usr/bin/env bash
# The REST API by curl: models, an image, an animation, a stream, a job, a cached answer, a refusal.
#
#     clients/examples/curl.sh [URL] [ATTRIBUTE TARGET]
set -euo pipefail

url=${1:-http://127.0.0.1:3000}
attribute=${2:-smile}
target=${3:-smiling}
edit='{"source": {"seed": 27}, "edits": [{"attribute": "'$attribute'", "target": "'$target'"}]}'

post() { # path, body, further arguments of curl
    curl --silent --show-error -H 'content-type: application/json' -d "$2" "${@:3}" "$url$1"
}

json() { # a Python expression of the JSON on standard input, called `it`
    python3 -c "import json, sys; it = json.load(sys.stdin); print($1)"
}

echo "== the served models, and what the first one edits"
curl --silent --show-error "$url/v1/models" |
    json '[one["name"] for one in it["models"]], [a["name"] for a in it["models"][0]["attributes"]]'

echo "== the edited image"
post /v1/edit/image "$edit" --fail -o edited.png
ls -l edited.png

echo "== all frames as an animation, 80 ms each"
post /v1/edit/image "${edit%\}}, \"animation\": true, \"output\": {\"frame_ms\": 80}}" \
    --fail -o edited.webp
ls -l edited.webp

echo "== the frames as events, each as soon as it is rendered (images cut off)"
post /v1/edit/stream "$edit" --fail --no-buffer | cut -c 1-60

echo "== a job: submit (the key makes a repetition the same job), ask, answer"
job=$(post /v1/jobs '{"kind": "edit", "request": '"$edit"'}' --fail \
    -H "Idempotency-Key: curl-$$" | json 'it["job_id"]')
state=queued
while [ "$state" = queued ] || [ "$state" = running ]; do
    state=$(curl --silent --show-error "$url/v1/jobs?id=$job" | json 'it["state"]')
done
echo "job $job is $state"

echo "== the same request with the ETag of its answer: 304, and no body"
tag=$(post /v1/generate '{"seeds": [36]}' --fail -o generated.json -D - |
    tr -d '\r' | sed -n 's/^[Ee][Tt]ag: //p')
post /v1/generate '{"seeds": [36]}' -H "If-None-Match: $tag" -o /dev/null -w '%{http_code}\n'

echo "== a refusal names the field and what it allows"
post /v1/edit "${edit/\"$target\"/\"no_such_class\"}" -w '\n'
