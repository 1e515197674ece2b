"""Every SELECT of projects and tickets. Each names the company."""
