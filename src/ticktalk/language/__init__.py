"""The decorators of programs; and their compiler, which an ensemble that only runs bodies never loads."""
