/* env.h: the system's clock and random source. Shared by our folders; a host may supply its own ab_env_t. */
#ifndef AB_ENV_H
#define AB_ENV_H

#include "hypercore/ab.h"

/** What is used where no environment was given. Safe from any thread. */
extern const ab_env_t ab_env_system;

#endif
