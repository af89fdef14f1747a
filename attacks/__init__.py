"""One runnable exploit per risk that GradCtrl refuses. For your own service; see SECURITY.md.

`python -m attacks URL` runs all of them (the key of a guarded service: GRADCTRL_API_KEY). Each
returns what the service did about it and raises BrokenError where it did nothing.
"""
