"""The RPC as described and as it answers: facts, cases, conformance, mutations."""
