"""The source that asks a server with the Prometheus HTTP API: Prometheus, Thanos, Mimir, VictoriaMetrics.

access      where the server is and how it is spoken to
transport   connections that can be broken off from outside
failure     what went wrong, as one of our errors with a sentence
client      one question, one answer
room        the memory that answers may take together
answer      the JSON of an answer into series
asking      what is asked, and the one way in which readers ask it
scope       the part of the data that an analysis may see
sharing     one client for many analyses
turns       whose question is put next
pace        how many questions at once the server bears
keeping     answers kept for a short while
fetching    raw samples, and what is known of new series' targets
following   every series of a query followed up to a time
evaluation  expressions that the server evaluates itself
spacing     the scrape interval, as observed
live        one window of both sides
intervals   a span of time cut into intervals
past        the baseline's history
source      the port itself
"""
