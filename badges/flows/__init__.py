"""
Flows: awards and facts that other services bring, and no rule decides.

Claims of stickers, completed certifications and registrations arrive as events (``badges.intake.flow_events``). Each
kind has a module with its handler; ``accounts`` finds whom they are about.
"""
