"""The service over HTTP.

app             all of it together
callers         who asks: nothing but a few open paths is answered without
limits          how much may be asked: sizes, rates, many at once
problem         every error as application/problem+json
representation  what goes in and out as JSON; `writing` writes answers
documentation   the OpenAPI document
analyses        ordering analyses, and looking at them
argo            the verdict for the web provider of Argo Rollouts
deciding        decisions by hand
changes         what happens, as a stream; `hub` brings it from the database to all streams
reports         reports in their forms
rulesets        the rule sets that the service has; checking one, trying one on recorded readings
admin           the switch for all acts, and who did what
health          whether the process lives and is ready; its metrics
parts           what every request finds
"""
