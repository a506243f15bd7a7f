"""The source that asks a server with the Prometheus HTTP API: Prometheus, Thanos, Mimir, VictoriaMetrics.

access     where the server is and how it is spoken to
transport  connections that can be broken off from outside
client     one question, one answer; every failure told apart
answer     the JSON of an answer into series
fetching   the raw samples of a window, and which series count from zero
past       the baseline's history
source     the port itself
"""
