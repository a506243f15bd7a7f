"""Sees each upgrade in the cluster by itself, and orders its analysis. It decides nothing of an analysis.

following       list-then-watch of one collection, for as long as it takes
trouble         what is wrong with the API server, told once
sighting        what was seen: a revision of a release or of a Rollout, and what became of it
releases        the newest revision of each Helm release, from the metadata of Helm's Secrets and ConfigMaps
rollouts        the revision of each Rollout, from its metadata
helm_look       a closer look at a revision of a release: which workloads, is it a way back
rollout_look    the same of a Rollout
ordering        from workloads to a wish to an order in the store
turns           who is next: one of each namespace in turn
desk            everything that was seen and is not settled yet
watching        all of these together, beside the supervisor of `canary serve`
"""
