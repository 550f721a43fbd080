"""Ready-made tasks, made of public names alone; each module needs the extra of its name."""
