"""The spec: one YAML file that declares one audit."""
