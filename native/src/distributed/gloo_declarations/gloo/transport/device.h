// gloo/context.h here says why this file is there.
#pragma once

#include "gloo/context.h"
