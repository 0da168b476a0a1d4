// Nothing of it is used: gloo/context.h here says why this file is there.
#pragma once
