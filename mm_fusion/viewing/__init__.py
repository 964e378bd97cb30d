"""Pictures of frames: bird's-eye view, camera overlays, videos."""
