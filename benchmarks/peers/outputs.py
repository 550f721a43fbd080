"""x"""
def write_outputs(run, folder):
    import json
    print(json.dumps(run.results.samples, indent=1)); print(run.results.failures); print(run.seconds)
    return []
