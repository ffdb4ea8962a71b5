"""Model families: what computes. A family meets `contract.Family` and is named in `registry.FAMILIES`."""
