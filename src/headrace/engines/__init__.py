"""Where jobs are kept and handed out."""
