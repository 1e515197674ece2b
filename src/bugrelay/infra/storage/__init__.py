"""Storage of uploaded files: a folder or an S3 bucket behind one port, chosen by `UPLOAD_URL`."""
