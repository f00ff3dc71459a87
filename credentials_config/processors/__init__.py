"""
The processors that are included: they find who has earned a credential.

Each is offered by an entry point of the group ``credentials_config.processors``. ``contracts.Processor`` says what a
processor does. ``base.SteppedProcessor`` adds pathways to all of them: a learner has to pass every step.
"""
