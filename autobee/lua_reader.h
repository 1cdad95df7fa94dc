/* lua_reader.h: how a script's query reads a view. Private to autobee/. */
#ifndef AUTOBEE_LUA_READER_H
#define AUTOBEE_LUA_READER_H

#include "lua/sandbox.h"

/** What it reads is an autobee_view_t. */
extern const sandbox_reader_t autobee__view_reader;

#endif
