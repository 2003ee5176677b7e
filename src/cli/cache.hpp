// Where the cache of this user is.
#pragma once

#include "cache/cache_folder.hpp"

namespace tare::cli {

// By XDG_CACHE_HOME and HOME; makes the folder if need be. Errors: those of CacheFolder.
Result<cache::CacheFolder> cache_folder();

}  // namespace tare::cli
