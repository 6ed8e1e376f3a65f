"""What people read of a job."""
