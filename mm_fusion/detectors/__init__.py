"""From frames to objects: without training (`geometric`), joined late (`late_fusion`), or learned."""
