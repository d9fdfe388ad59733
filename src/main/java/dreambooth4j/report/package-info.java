/** What a run shows and leaves to be read: progress, metrics, sample sheets. */
@NullMarked
package dreambooth4j.report;

import org.jspecify.annotations.NullMarked;
