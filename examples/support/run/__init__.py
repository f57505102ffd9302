"""What a training needs beside its method: devices, batches, training states, stop and resume, the command line."""
