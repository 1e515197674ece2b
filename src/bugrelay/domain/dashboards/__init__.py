"""Reports: what of companies and applications takes counting bugs, and the dashboards of their teams."""
