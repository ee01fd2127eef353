"""What Alembic runs: the steps, in the transaction of whoever asks for them."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
context.run_migrations()
