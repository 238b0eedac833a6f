"""The classroom kit: a folder from which a room sets up without a network, and a look at each machine.

`python -m utils.classroom prepare FOLDER` (in `kit`), `python -m utils.classroom check` (in
`readiness`). Nothing here imports anything heavy at the top, so that both can say what is missing.
"""
