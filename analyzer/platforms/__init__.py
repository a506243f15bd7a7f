"""What is analysed and taken back.

program         one run of another program: time-out, process group, bounded output
helm            a Helm release, through the helm CLI (3 and 4)
helm_history    what a release's history tells (pure)
helm_manifest   what a release's manifest tells (pure)
helm_complaint  what helm says when it fails, as one sentence (pure)
command         anything else, taken back by a command of the user's
"""
