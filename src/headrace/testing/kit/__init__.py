"""What tests of applications use: jobs that run at once, when they are told to, or in earnest."""
