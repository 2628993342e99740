"""What images and snapshots both speak: digests, compression and tar archives."""
