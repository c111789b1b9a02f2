-- Erasing a patient, as the owner: the application may delete nothing of a record, and change little of it.
-- What names her is found by what the ledger is kept from: the private columns of every table, as its trigger has them.
-- So a table that comes later is erased from like the others.

CREATE FUNCTION erasure_refuse(sentence text) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%', sentence USING ERRCODE = 'insufficient_privilege';
END
$$;

-- The erasure that the acting clinic may carry out now.
CREATE FUNCTION erasure_allowed(erasure uuid) RETURNS patients_erasure
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    asked patients_erasure;
BEGIN
    SELECT * INTO asked FROM patients_erasure
    WHERE id = erasure AND clinic_id = nullif(current_setting('skinclinic.clinic', true), '')::uuid
      AND taken_back_at IS NULL
    FOR NO KEY UPDATE;
    IF asked.id IS NULL THEN
        PERFORM erasure_refuse('nobody asks for this erasure in the clinic');
    END IF;
    IF asked.replayed_at IS NULL AND (asked.asked_by_id IS NULL OR asked.agreed_by_id IS NULL
                                      OR asked.asked_by_id = asked.agreed_by_id) THEN
        PERFORM erasure_refuse('an erasure takes two people');
    END IF;
    RETURN asked;
END
$$;

-- Screenings that show her: hers, and those that were moved to her from whoever's record they were in by mistake.
CREATE FUNCTION erasure_screenings(records uuid[]) RETURNS uuid[]
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    WITH RECURSIVE hers AS (
        SELECT id FROM screening_screening WHERE patient_id = ANY (records)
        UNION SELECT moved.id FROM screening_screening moved JOIN hers ON moved.moved_to_id = hers.id
    ) SELECT coalesce(array_agg(id), '{}') FROM hers
$$;

CREATE FUNCTION erasure_images(records uuid[]) RETURNS uuid[]
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(id), '{}') FROM (
        SELECT id FROM screening_lesionimage WHERE patient_id = ANY (records)
        UNION SELECT image_id FROM screening_screening WHERE id = ANY (erasure_screenings(records))
    ) images
$$;

-- Every table with private columns, how they become empty, and which of its rows are about her ($1 records, $2 images,
-- $3 screenings, $4 a salt). A column that must not be empty says "erased"; of a day the year is kept, for the age
-- groups, and such a day of it that her age at the last review stays. Statistics count a file that was sent twice once:
-- equal digests stay equal, and lead to no file any more.
CREATE FUNCTION erasure_places() RETURNS TABLE (place regclass, key text, assignments text, condition text)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    WITH recorded AS (
        SELECT tgrelid AS place,
               string_to_array(split_part(encode(tgargs, 'escape'), '\000', 1), ',') AS private
        FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE tgname = 'audit_row' AND NOT tgisinternal
          -- Of ours alone: what is done here is done as the owner, and a table of somebody else's may have any trigger.
          AND relnamespace = 'public'::regnamespace AND relowner = current_user::regrole
    ), columns AS (
        SELECT recorded.place, attname AS name, attnotnull AS needed, atttypid = 'date'::regtype AS is_day,
               EXISTS (SELECT FROM pg_index WHERE indrelid = place AND indisunique AND attnum = ANY (indkey))
                   AS is_unique,
               EXISTS (SELECT FROM pg_constraint WHERE conrelid = place AND contype = 'c' AND attnum = ANY (conkey))
                   AS is_checked
        FROM recorded JOIN pg_attribute ON attrelid = recorded.place AND attname = ANY (private)
    ), emptied AS (
        SELECT place, string_agg(CASE
            WHEN is_day THEN format(
                '%1$I = make_date(extract(year FROM %1$I)::int, 1, 1) + CASE WHEN to_char(%1$I, ''MMDD'') <= '
                '(SELECT coalesce(to_char(max(created_at AT TIME ZONE ''UTC''), ''MMDD''), ''1231'') '
                'FROM screening_review WHERE patient_id = ANY ($1)) THEN 0 ELSE 364 END', name)
            WHEN name = 'upload_sha256'
                THEN format('%1$I = encode(sha256(convert_to($4 || %1$I, ''UTF8'')), ''hex'')', name)
            WHEN NOT needed THEN format('%I = NULL', name)
            WHEN is_unique THEN format('%1$I = CASE %1$I WHEN '''' THEN '''' ELSE ''erased '' || id END', name)
            WHEN is_checked THEN format('%1$I = CASE %1$I WHEN '''' THEN '''' ELSE ''erased'' END', name)
            ELSE format('%I = ''''', name)
        END, ', ') AS assignments
        FROM columns GROUP BY place
    ), ways AS (
        SELECT emptied.place, CASE attname
            WHEN 'patient_id' THEN 'patient_id = ANY ($1)'
            WHEN 'image_id' THEN 'image_id = ANY ($2)'
            WHEN 'screening_id' THEN 'screening_id = ANY ($3)'
        END AS way
        FROM emptied JOIN pg_attribute
            ON attrelid = emptied.place AND attname IN ('patient_id', 'image_id', 'screening_id')
        UNION ALL SELECT 'screening_lesionimage'::regclass, 'id = ANY ($2)'
        -- A note has no patient of its own: it stands under something that has.
        UNION ALL SELECT emptied.place,
            format('%I IN (SELECT id FROM %s WHERE patient_id = ANY ($1))', attname, confrelid::regclass)
        FROM emptied JOIN pg_constraint ON conrelid = emptied.place AND contype = 'f' AND cardinality(conkey) = 1
        JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
        WHERE confrelid <> 'patients_patient'::regclass
          AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = confrelid AND attname = 'patient_id')
          AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = confrelid AND attname = 'id')
          AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = conrelid AND attname = 'patient_id')
    )
    SELECT emptied.place,
           CASE WHEN EXISTS (SELECT FROM pg_attribute WHERE attrelid = emptied.place AND attname = 'id')
                THEN 'id' ELSE 'patient_id' END,
           assignments, string_agg(way, ' OR ')
    FROM emptied JOIN ways USING (place) GROUP BY emptied.place, assignments
$$;

-- All that is written of her, in one transaction. Returns how many rows of each table were about her.
CREATE FUNCTION erase_words(records uuid[], clinic uuid) RETURNS jsonb
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    images uuid[] := erasure_images(records);
    screenings uuid[] := erasure_screenings(records);
    visits uuid[] := (SELECT coalesce(array_agg(id), '{}') FROM patients_visit WHERE patient_id = ANY (records));
    numbers text[] := (SELECT array_agg(value) FROM patients_patientidentifier
                       WHERE patient_id = ANY (records) AND system = 'urn:skinclinic:record-number');
    salt text := gen_random_uuid()::text;
    here record;
    touched text[];
    keys text[] := '{}';
    counts jsonb := '{}';
BEGIN
    UPDATE screening_importrow
    SET cells = '{}', file_key = '', upload_sha256 = '', sha256 = '', camera = '', captured_at = NULL,
        likely_patients = '{}', likely_rows = '{}'
    WHERE clinic_id = clinic AND (patient_id = ANY (records) OR cells ->> 'record_number' = ANY (numbers));
    UPDATE screening_importrow SET likely_patients = (
        SELECT coalesce(array_agg(likely), '{}') FROM unnest(likely_patients) likely WHERE likely <> ALL (records))
    WHERE clinic_id = clinic AND likely_patients && records;

    FOR here IN SELECT * FROM erasure_places() LOOP
        EXECUTE format('WITH changed AS (UPDATE %s SET %s WHERE %s RETURNING %I::text AS key) '
                       'SELECT array_agg(key) FROM changed',
                       here.place, here.assignments, here.condition, here.key)
        INTO touched USING records, images, screenings, salt;
        IF touched IS NOT NULL THEN
            keys := keys || touched;
            counts := counts || jsonb_build_object(here.place::text, cardinality(touched));
        END IF;
    END LOOP;

    DELETE FROM screening_draft WHERE patient_id = ANY (records) OR screening_id = ANY (screenings);
    DELETE FROM api_storedanswer
    WHERE clinic_id = clinic
      AND (body ->> 'patient' = ANY (records::text[]) OR body ->> 'id' = ANY (keys || records::text[]));
    -- A document of hers cannot be made any more, and trying would disable its receiver in the end.
    UPDATE api_webhookdelivery delivery SET state = 'given_up' FROM api_webhookendpoint endpoint, events_event event
    WHERE delivery.state = 'waiting' AND delivery.clinic_id = clinic
      AND endpoint.id = delivery.endpoint_id AND endpoint.kind = 'documents' AND event.id = delivery.event_id
      AND (event.ids ->> 'visit' = ANY (visits::text[]) OR event.ids ->> 'screening' = ANY (screenings::text[]));
    UPDATE screening_notice SET seen_at = now() WHERE patient_id = ANY (records) AND seen_at IS NULL;
    DELETE FROM audit_privatevalue WHERE patient_id = ANY (records) OR subject_id = ANY (keys);
    UPDATE patients_patient SET erased_at = now(), version = version + 1 WHERE id = ANY (records) AND erased_at IS NULL;
    RETURN counts;
END
$$;

CREATE FUNCTION erase_patient(erasure uuid) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    asked patients_erasure := erasure_allowed(erasure);
    hers uuid[];
    found jsonb;
BEGIN
    SELECT array_agg(id) INTO hers FROM patients_patient
    WHERE clinic_id = asked.clinic_id
      AND (id = asked.patient_id OR id = ANY (asked.records)
           OR (asked.replayed_at IS NULL AND merged_into_id = asked.patient_id));
    -- Who was parted from her since the back-up is somebody else.
    UPDATE patients_patient SET merged_into_id = NULL
    WHERE asked.replayed_at IS NOT NULL AND merged_into_id = ANY (hers) AND id <> ALL (hers);
    IF asked.replayed_at IS NULL
       AND EXISTS (SELECT FROM patients_legalhold WHERE patient_id = ANY (hers) AND lifted_at IS NULL) THEN
        PERFORM erasure_refuse('a legal hold stands on this patient');
    END IF;
    found := erase_words(hers, asked.clinic_id);
    UPDATE patients_erasure SET erased_at = coalesce(erased_at, now()), records = hers, counts = found
    WHERE id = erasure;
    RETURN found;
END
$$;

-- What is written of her while she is erased, or afterwards by whatever way, is refused: who erases holds her row, which is
-- waited for here.
-- It runs as who writes: the owner, who erases, is let pass, and no setting makes anybody else her.
CREATE FUNCTION erasure_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    erased timestamptz;
BEGIN
    IF current_user::regrole <> (SELECT relowner FROM pg_class WHERE oid = TG_RELID) THEN
        SELECT erased_at INTO erased FROM patients_patient WHERE id = NEW.patient_id FOR KEY SHARE;
        IF erased IS NOT NULL THEN
            PERFORM erasure_refuse('this patient was erased');
        END IF;
    END IF;
    RETURN NULL;
END
$$;

-- Names of files that are still hers: photographs, and documents of what was signed.
CREATE FUNCTION erasure_files(erasure uuid, most integer) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    asked patients_erasure := erasure_allowed(erasure);
BEGIN
    IF asked.erased_at IS NULL THEN
        PERFORM erasure_refuse('what is written comes first');
    END IF;
    RETURN QUERY SELECT name::text FROM (
        SELECT unnest(ARRAY[photograph, thumbnail]) AS name FROM screening_lesionimage
        WHERE id = ANY (erasure_images(asked.records))
        UNION ALL SELECT pdf FROM fhir_signeddocument WHERE patient_id = ANY (asked.records)
    ) files WHERE name <> '' LIMIT most;
END
$$;

-- That these files are gone. The rows stay: they say that there was a photograph.
CREATE FUNCTION erasure_forget_files(erasure uuid, gone text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    asked patients_erasure := erasure_allowed(erasure);
BEGIN
    IF asked.erased_at IS NULL THEN
        PERFORM erasure_refuse('what is written comes first');
    END IF;
    UPDATE screening_lesionimage
    SET photograph = CASE WHEN photograph = ANY (gone) THEN '' ELSE photograph END,
        thumbnail = CASE WHEN thumbnail = ANY (gone) THEN '' ELSE thumbnail END
    WHERE id = ANY (erasure_images(asked.records)) AND (photograph = ANY (gone) OR thumbnail = ANY (gone));
    UPDATE fhir_signeddocument SET pdf = '' WHERE patient_id = ANY (asked.records) AND pdf = ANY (gone);
END
$$;

REVOKE ALL ON FUNCTION erasure_refuse(text), erasure_allowed(uuid), erasure_screenings(uuid[]), erasure_images(uuid[]),
    erasure_places(), erase_words(uuid[], uuid), erase_patient(uuid), erasure_files(uuid, integer),
    erasure_forget_files(uuid, text[]), erasure_guard() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_patient(uuid), erasure_files(uuid, integer), erasure_forget_files(uuid, text[])
    TO skinclinic_app;
