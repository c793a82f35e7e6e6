"""What the units inside a net have learnt: activity, dissection, concept vectors, maximisation."""
