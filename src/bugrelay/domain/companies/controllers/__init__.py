"""HTTP of companies, as far as no bug is counted: claims and teams. The rest is in domain/reports."""
