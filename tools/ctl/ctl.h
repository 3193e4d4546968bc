/* The subcommands of ehring-ctl, one file each. Each takes its own command line and returns the program's exit status. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

int dead_list_run(int argc, char **argv);
int dead_show_run(int argc, char **argv);
int dead_replay_run(int argc, char **argv);
int dead_purge_run(int argc, char **argv);
int size_run(int argc, char **argv);
int drain_run(int argc, char **argv);

#endif
